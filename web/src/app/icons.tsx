/** The icons of the rail, 18 pixels, drawn with one line. */

import type { ReactNode } from "react";
import type { Page } from "../model/selection";

function icon(path: ReactNode): ReactNode {
  return (
    <svg viewBox="0 0 18 18" width="18" height="18" className="icon" aria-hidden="true">
      {path}
    </svg>
  );
}

export const ICONS: Record<Page, ReactNode> = {
  runs: icon(<path d="M2.5 4.5h7M5.5 9h10M2.5 13.5h5.5" />),
  run: icon(<path d="M2.5 4.5h7M5.5 9h10M2.5 13.5h5.5" />),
  findings: icon(<path d="M9 2.5 16 14.8H2ZM9 7.2v3.4M9 12.7v.1" />),
  services: icon(
    <>
      <circle cx="4" cy="9" r="2" />
      <circle cx="14" cy="4.5" r="2" />
      <circle cx="14" cy="13.5" r="2" />
      <path d="M5.9 8.2 12.1 5.3M5.9 9.8l6.2 2.9" />
    </>,
  ),
  sql: icon(
    <>
      <ellipse cx="9" cy="4.5" rx="5.5" ry="2.2" />
      <path d="M3.5 4.5v9c0 1.2 2.5 2.2 5.5 2.2s5.5-1 5.5-2.2v-9M3.5 9c0 1.2 2.5 2.2 5.5 2.2s5.5-1 5.5-2.2" />
    </>,
  ),
};

export const SEARCH_ICON = icon(<path d="M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3ZM11.7 11.7 15.5 15.5" />);

export const THEME_ICONS = {
  system: icon(
    <>
      <circle cx="9" cy="9" r="6" />
      <path d="M9 3v12a6 6 0 0 0 0-12Z" fill="currentColor" stroke="none" />
    </>,
  ),
  dark: icon(<path d="M15 10.6A6.2 6.2 0 1 1 7.4 3a5 5 0 0 0 7.6 7.6Z" />),
  light: icon(
    <>
      <circle cx="9" cy="9" r="3" />
      <path d="M9 1.8v1.6M9 14.6v1.6M1.8 9h1.6M14.6 9h1.6M3.9 3.9 5 5M13 13l1.1 1.1M3.9 14.1 5 13M13 5l1.1-1.1" />
    </>,
  ),
};
