import { createRoot } from "react-dom/client";
import "./base/tokens.css";
import "./base/page.css";
import { App } from "./app/App";

const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
