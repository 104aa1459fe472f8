/** Keeps a fault of one view from taking the page with it. */

import { Component, type ReactNode } from "react";
import { Failure } from "../widgets/states";

interface State {
  readonly error: Error | null;
}

export class Boundary extends Component<{ readonly children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return <Failure error={error} onRetry={() => this.setState({ error: null })} />;
  }
}
