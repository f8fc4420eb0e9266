// Where the server is: everything is relative to this script, so that it may stand under any path.

const script = document.currentScript as HTMLScriptElement | null;

/** The base URL of the server; ends with a slash. */
export const BASE = new URL("..", script?.src ?? document.baseURI);

/** The URL of a path of the server, such as `admin/policies`. */
export function urlOf(path: string): URL {
  return new URL(path.replace(/^\//, ""), BASE);
}
