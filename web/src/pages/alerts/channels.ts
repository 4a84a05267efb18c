/** What each type of channel is set up with. Pure. */

export interface Setting {
  name: string;
  label: string;
  kind: "text" | "number" | "list" | "choice";
  options?: string[];
  secret?: boolean;
  required?: boolean;
  note?: string;
  placeholder?: string;
}

const URL_SECRET: Setting = { name: "url", label: "Address", kind: "text", secret: true, required: true, placeholder: "https://…" };

export const SETTINGS: Record<string, Setting[]> = {
  webhook: [
    URL_SECRET,
    { name: "secret", label: "Signing secret", kind: "text", secret: true, note: "Signs each message, so that the receiver knows it is ours" },
    { name: "authorization", label: "Authorization header", kind: "text", secret: true },
  ],
  slack: [
    { ...URL_SECRET, label: "Incoming webhook" },
    { name: "channel", label: "Channel", kind: "text", placeholder: "#alerts" },
    { name: "username", label: "Shown as", kind: "text" },
  ],
  email: [
    { name: "host", label: "SMTP server", kind: "text", required: true, placeholder: "smtp.example.com" },
    { name: "security", label: "Encryption", kind: "choice", options: ["starttls", "tls", "none"] },
    { name: "port", label: "Port", kind: "number", note: "Empty: the usual one" },
    { name: "from", label: "From", kind: "text", required: true },
    { name: "to", label: "To", kind: "list", required: true, note: "Addresses with commas between" },
    { name: "username", label: "User", kind: "text", secret: true },
    { name: "password", label: "Password", kind: "text", secret: true },
  ],
  alertmanager: [
    URL_SECRET,
    { name: "format", label: "Format", kind: "choice", options: ["api", "webhook"] },
    { name: "username", label: "User", kind: "text", secret: true },
    { name: "password", label: "Password", kind: "text", secret: true },
    { name: "token", label: "Bearer token", kind: "text", secret: true },
  ],
  pagerduty: [
    { name: "routing_key", label: "Routing key", kind: "text", secret: true, required: true },
    { name: "url", label: "Events address", kind: "text", note: "Empty: PagerDuty's own" },
  ],
};

/** Brings what was typed into options and secrets; what is empty is left out, so that a kept secret stays. */
export function setUp(type: string, typed: Record<string, string>): { options: Record<string, unknown>; secrets: Record<string, string> } {
  const options: Record<string, unknown> = {};
  const secrets: Record<string, string> = {};
  for (const setting of SETTINGS[type] ?? []) {
    const value = (typed[setting.name] ?? "").trim();
    if (value === "") continue;
    if (setting.secret) secrets[setting.name] = value;
    else if (setting.kind === "list") options[setting.name] = value.split(",").map((one) => one.trim()).filter(Boolean);
    else options[setting.name] = setting.kind === "number" ? Number(value) : value;
  }
  return { options, secrets };
}

/** What a channel's options look like in the form; its secrets are never known here. */
export function typedOf(type: string, options: Record<string, unknown>): Record<string, string> {
  const shown = (SETTINGS[type] ?? []).filter((setting) => !setting.secret && options[setting.name] !== undefined && options[setting.name] !== "");
  return Object.fromEntries(shown.map(({ name }) => [name, Array.isArray(options[name]) ? (options[name] as unknown[]).join(", ") : String(options[name])]));
}
