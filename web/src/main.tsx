/** The entry: styles, theme, router, page. */
import { render } from "preact";
import { App } from "./app";
import { startRouter } from "./router";
import { startTheme } from "./state/prefs";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/kit.css";
import "./styles/layers.css";
import "./styles/shell.css";
import "./styles/traces.css";
import "./styles/query.css";
import "./styles/list.css";

// It has served to find the scripts; left in place it would turn every #link of the page into another address.
document.querySelector("base")?.remove();
startTheme();
startRouter();
render(<App />, document.getElementById("app")!);
