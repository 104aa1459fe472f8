/** Questions to begin with. */

export const EXAMPLES: readonly { readonly title: string; readonly query: string }[] = [
  {
    title: "What happened most",
    query: "select kind, count(*) as events\nfrom events\ngroup by kind\norder by events desc",
  },
  {
    title: "The slowest requests, by name",
    query:
      "select name, service, count(*) as requests, median(duration_ns) / 1e6 as median_ms, max(duration_ns) / 1e6 as longest_ms\nfrom spans\nwhere kind = 'server'\ngroup by name, service\norder by longest_ms desc",
  },
  {
    title: "The longest waits, and where",
    query:
      "select service, scope, kind, entity, file, line, wait_ns / 1e6 as waited_ms\nfrom events\nwhere kind like 'sync.%' and wait_ns > 0\norder by wait_ns desc\nlimit 100",
  },
  {
    title: "Runs that went wrong",
    query:
      "select run, name, service, status, errors, duration_ns / 1e6 as ms\nfrom runs\nwhere status <> 'succeeded' or errors > 0\norder by errors desc",
  },
  {
    title: "Locks by how long they were waited for",
    query:
      "select entity, count(*) as waits, sum(wait_ns) / 1e6 as waited_ms, max(wait_ns) / 1e6 as longest_ms\nfrom events\nwhere op = 'acquire' and wait_ns > 0\ngroup by entity\norder by waited_ms desc",
  },
];
