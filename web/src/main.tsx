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

startTheme();
startRouter();
render(<App />, document.getElementById("app")!);
