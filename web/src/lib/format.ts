// Numbers, times and lists in words.

const NUMBER = new Intl.NumberFormat("en");
const DATE_TIME = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function number(value: number): string {
  return NUMBER.format(value);
}

/** `3 policies`, `1 policy`. */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`;
}

export function dateTime(text: string): string {
  const time = new Date(text);
  return Number.isNaN(time.valueOf()) ? text : DATE_TIME.format(time);
}

/** `5 minutes ago`. */
export function ago(text: string, now = Date.now()): string {
  const seconds = Math.round((new Date(text).valueOf() - now) / 1000);
  if (Number.isNaN(seconds)) return text;
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60]] as const) {
    if (Math.abs(seconds) >= size) return RELATIVE.format(Math.trunc(seconds / size), unit);
  }
  return RELATIVE.format(seconds, "second");
}

/** The first characters of a revision, as people name it. */
export function shortRevision(revision: string): string {
  return revision.slice(0, 12);
}

export function bytes(size: number): string {
  if (size < 1000) return count(size, "byte");
  for (const [unit, factor] of [["kB", 1e3], ["MB", 1e6], ["GB", 1e9], ["TB", 1e12]] as const) {
    if (size < factor * 1000) return `${(size / factor).toFixed(size < factor * 10 ? 1 : 0)} ${unit}`;
  }
  return `${number(size)} bytes`;
}
