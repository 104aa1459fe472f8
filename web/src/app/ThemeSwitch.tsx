/** Switches between the system's theme, dark and light. */

import type { ReactNode } from "react";
import { setTheme, THEMES, useTheme } from "../base/theme";
import { THEME_ICONS } from "./icons";

export function ThemeSwitch(): ReactNode {
  const theme = useTheme();
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  const label = `Theme: ${theme}. Switch to ${next}`;
  return (
    <button
      type="button"
      className="rail-item rail-theme"
      title={label}
      aria-label={label}
      onClick={() => setTheme(next)}
    >
      {THEME_ICONS[theme]}
    </button>
  );
}
