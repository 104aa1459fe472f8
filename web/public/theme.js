// Runs before the page is drawn, so that a dark page does not flash white. Not part of the bundle: a module
// would run too late, and the page's policy forbids scripts inside the document.
(() => {
  let wanted = "system";
  try {
    wanted = localStorage.getItem("clew.theme") || "system";
  } catch {
    wanted = "system"; // storage is forbidden to this page: the system decides
  }
  const dark =
    wanted === "dark" || (wanted !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
