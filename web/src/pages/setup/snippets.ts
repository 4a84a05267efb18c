/** The texts people paste. Each must work as it stands, with this server's own address in it. */

export interface Snippet {
  id: string;
  name: string;
  steps: { title: string; note?: string; language: "shell" | "python"; code: string }[];
}

/** Writes the snippets. `endpoint` has no slash at its end; with `keys` a key is asked for. */
export function snippets(endpoint: string, keys: boolean, ids: TraceIds, now: number): Snippet[] {
  return [python(endpoint, keys), proxy(endpoint, keys), environment(endpoint, keys), curl(endpoint, keys, ids, now)];
}

function python(endpoint: string, keys: boolean): Snippet {
  const key = keys ? `\n    api_key="YOUR_KEY",` : "";
  return {
    id: "python",
    name: "Python SDK",
    steps: [
      {
        title: "Install",
        note: "In the Spanhouse checkout, with your application's environment active; the package is not on PyPI yet.",
        language: "shell",
        code: `pip install "./sdk[openai]" openai`,
      },
      {
        title: "Run",
        note: "init() finds the libraries it can trace; nothing else in your program changes.",
        language: "python",
        code: `import spanhouse
from openai import OpenAI

spanhouse.init(
    endpoint="${endpoint}",${key}
    service_name="my-app",
)

client = OpenAI()  # needs OPENAI_API_KEY; base_url=… for any compatible server
answer = client.chat.completions.create(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "Say hello in three languages."}],
)
print(answer.choices[0].message.content)`,
      },
    ],
  };
}

function proxy(endpoint: string, keys: boolean): Snippet {
  const key = keys ? `\n    default_headers={"Spanhouse-Auth": "Bearer YOUR_KEY"},` : "";
  return {
    id: "proxy",
    name: "Proxy",
    steps: [
      {
        title: "Change the base URL, nothing else",
        note: "Calls pass through unchanged and are recorded. The same works for every provider: /proxy/anthropic, /proxy/gemini, /proxy/mistral …",
        language: "python",
        code: `from openai import OpenAI

client = OpenAI(  # needs OPENAI_API_KEY
    base_url="${endpoint}/proxy/openai/v1",${key}
)
answer = client.chat.completions.create(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "Say hello in three languages."}],
)
print(answer.choices[0].message.content)`,
      },
    ],
  };
}

function environment(endpoint: string, keys: boolean): Snippet {
  const headers = keys ? `\nexport OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20YOUR_KEY"` : "";
  return {
    id: "otlp",
    name: "OpenTelemetry",
    steps: [
      {
        title: "Point any OpenTelemetry SDK or instrumentation here",
        note: "These variables are read by the SDKs of every language. The last one lets GenAI instrumentations record messages.",
        language: "shell",
        code: `export OTEL_EXPORTER_OTLP_ENDPOINT="${endpoint}"
export OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"${headers}
export OTEL_SERVICE_NAME="my-app"
export OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true"`,
      },
      {
        title: "For example, with OpenTelemetry's own instrumentation of the OpenAI client",
        language: "shell",
        code: `pip install opentelemetry-distro opentelemetry-exporter-otlp-proto-http opentelemetry-instrumentation-openai-v2
opentelemetry-instrument python my_app.py`,
      },
    ],
  };
}

function curl(endpoint: string, keys: boolean, ids: TraceIds, now: number): Snippet {
  const header = keys ? ` \\\n  -H 'Authorization: Bearer YOUR_KEY'` : "";
  return {
    id: "curl",
    name: "curl",
    steps: [
      {
        title: "Send one trace by hand",
        note: "A chat call inside a request, as OTLP/JSON. The ids and times were made just now.",
        language: "shell",
        code: `curl -sS -X POST '${endpoint}/v1/traces' \\
  -H 'Content-Type: application/json'${header} \\
  -d '${JSON.stringify(otlpExample(ids, now), null, 2)}'`,
      },
    ],
  };
}

export interface TraceIds {
  trace: string;
  root: string;
  chat: string;
}

/** Makes fresh random ids, lower-case hex as OTLP/JSON wants them. */
export function freshIds(): TraceIds {
  const hex = (bytes: number) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { trace: hex(16), root: hex(8), chat: hex(8) };
}

/** Writes a small valid OTLP request: a root span and a chat call below it. `now` is in milliseconds. */
export function otlpExample(ids: TraceIds, now: number): object {
  const ns = (ms: number) => `${Math.round(ms)}000000`;
  const text = (key: string, value: string) => ({ key, value: { stringValue: value } });
  const count = (key: string, value: number) => ({ key, value: { intValue: String(value) } });
  const say = (role: string, content: string) => ({ role, parts: [{ type: "text", content }] });
  return {
    resourceSpans: [
      {
        resource: { attributes: [text("service.name", "curl-example")] },
        scopeSpans: [
          {
            scope: { name: "curl" },
            spans: [
              { traceId: ids.trace, spanId: ids.root, name: "hello", kind: 1, startTimeUnixNano: ns(now - 1600), endTimeUnixNano: ns(now - 200) },
              {
                traceId: ids.trace,
                spanId: ids.chat,
                parentSpanId: ids.root,
                name: "chat gpt-4o-mini",
                kind: 3,
                startTimeUnixNano: ns(now - 1500),
                endTimeUnixNano: ns(now - 300),
                attributes: [
                  text("gen_ai.operation.name", "chat"),
                  text("gen_ai.provider.name", "openai"),
                  text("gen_ai.request.model", "gpt-4o-mini"),
                  text("gen_ai.input.messages", JSON.stringify([say("user", "Say hello in three languages.")])),
                  text("gen_ai.output.messages", JSON.stringify([{ ...say("assistant", "Hello, hallo, bonjour!"), finish_reason: "stop" }])),
                  count("gen_ai.usage.input_tokens", 13),
                  count("gen_ai.usage.output_tokens", 9),
                ],
              },
            ],
          },
        ],
      },
    ],
  };
}

/** What to do about spans that were refused, by the server's reason. */
export function rejectionHint(reason: string): string {
  const hints: [RegExp, string][] = [
    [/trace_id/, "Trace ids must be 16 bytes and not all zero; in OTLP/JSON they are 32 hex digits, not base64."],
    [/span_id/, "Span ids must be 8 bytes and not all zero; in OTLP/JSON they are 16 hex digits, not base64."],
    [/time|duration/, "Times are nanoseconds since 1970. Check the clock and the unit of the sender."],
    [/large|size|long/, "Something in it is larger than the limit. Raise the limit or send less."],
    [/deep|nest/, "Attribute values are nested too deeply."],
    [/utf|encod|undecod/, "The text is not valid UTF-8."],
  ];
  return hints.find(([pattern]) => pattern.test(reason))?.[1] ?? "The sender's log holds the server's answer with the reason.";
}
