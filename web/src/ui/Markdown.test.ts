// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { cleanMarkdown } from "./Markdown";

describe("cleanMarkdown", () => {
  it("renders what people write", () => {
    const html = cleanMarkdown("# Hi\n\n- **bold** and `a < b`\n\n```js\nif (a < b) {}\n```");
    expect(html).toContain("<strong>bold</strong>");
    expect(html).toContain("<code>a &lt; b</code>");
    expect(html).toContain("if (a &lt; b) {}");
    expect(html, "code that is scrolled needs the keyboard's focus").toContain('<pre tabindex="0">');
  });

  it.each([
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "<svg onload=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    "[x](javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](https://evil.example/pixel.png)",
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<style>*{display:none}</style>",
    '<form action="https://evil.example"><input name=a></form>',
    "<math><mtext></p><style><img src=x onerror=alert(1)>",
    '[x](https://ok.example "\\"onmouseover=alert(1) ")',
  ])("makes %s inert", (text) => {
    const box = document.createElement("div");
    box.innerHTML = cleanMarkdown(text);
    expect(box.querySelector("script, img, svg, iframe, style, form, input, math, object, embed")).toBeNull();
    for (const element of box.querySelectorAll("*")) {
      for (const { name, value } of element.attributes) {
        expect(name).not.toMatch(/^on/);
        if (name === "href") expect(value).toMatch(/^(https?:|mailto:)/);
      }
    }
  });
});
