import { expect, it } from "vitest";
import { setUp, SETTINGS, typedOf } from "./channels";

it("parts options from secrets, and leaves empty ones out so that kept secrets stay", () => {
  expect(setUp("email", { host: " smtp.example.com ", port: "587", to: "a@example.com, b@example.com", password: "p", username: "" })).toEqual({
    options: { host: "smtp.example.com", port: 587, to: ["a@example.com", "b@example.com"] },
    secrets: { password: "p" },
  });
});

it("shows options as they were typed, and no secret", () => {
  const options = { host: "h", port: 25, to: ["a@example.com", "b@example.com"], from: "c@example.com" };
  expect(setUp("email", typedOf("email", options)).options).toEqual(options);
  expect(typedOf("webhook", { url: "https://example.com/secret" })).toEqual({});
});

it("asks for each setting once", () => {
  for (const settings of Object.values(SETTINGS)) expect(new Set(settings.map((one) => one.name)).size).toBe(settings.length);
});
