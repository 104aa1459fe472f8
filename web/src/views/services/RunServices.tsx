/** The services of one run, and who calls whom in it. */

import type { ReactNode } from "react";
import { useRunServices } from "../../api/queries";
import { Failure, Skeleton } from "../../widgets/states";
import { useRunState } from "../run/context";
import { ServicesPanel } from "./ServicesPanel";

export default function RunServices(): ReactNode {
  const { run } = useRunState();
  const { data, error, refetch } = useRunServices(run.id);
  if (error && !data) return <Failure error={error} onRetry={() => void refetch()} />;
  if (!data) return <Skeleton label="Loading services" />;
  return <ServicesPanel services={data} />;
}
