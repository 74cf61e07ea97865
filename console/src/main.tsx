// The console: everything that Hatch does, in the browser, by its public API.

import "./styles/index.css";
// Before the address is read.
import "./return.ts";
import { render } from "preact";
import { App } from "./app.tsx";

const root = document.getElementById("console");
if (root) render(<App />, root);
