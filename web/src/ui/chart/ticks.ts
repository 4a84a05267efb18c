/** Instants and values that an axis is labelled with. Pure. */

/** Chooses round instants for the axis, at most `most` of them, with their labels. */
export function axisTicks(from: number, to: number, most: number): { at: number; label: string }[] {
  const steps = [
    1000, 5000, 15_000, 30_000, 60_000, 300_000, 900_000, 1_800_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000,
    86_400_000, 172_800_000, 604_800_000, 2_592_000_000,
  ];
  const step = steps.find((one) => (to - from) / one <= most) ?? (to - from) / most;
  const offset = new Date(from).getTimezoneOffset() * 60_000;
  const ticks = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) ticks.push({ at, label: tickLabel(at, step) });
  return ticks;
}

function tickLabel(at: number, step: number): string {
  const date = new Date(at);
  const clock = `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
  if (step < 60_000) return `${clock}:${String(date.getSeconds()).padStart(2, "0")}`;
  const day = date.toLocaleDateString("en-US", { month: "short", day: "numeric" });
  if (step >= 86_400_000) return day;
  return date.getHours() === 0 && date.getMinutes() === 0 ? day : clock;
}
