// Texts of files as they are on disk: byte order marks and line ends are kept, whatever the editor shows.

const BYTE_ORDER_MARK = "\ufeff";

export interface FileText {
  /** What the editor shows. */
  readonly text: string;
  readonly hasByteOrderMark: boolean;
  /** What separates lines; carriage returns of a file that mixes both stay in its lines. */
  readonly separator: "\n" | "\r\n";
}

export function splitText(raw: string): FileText {
  const hasByteOrderMark = raw.startsWith(BYTE_ORDER_MARK);
  const text = hasByteOrderMark ? raw.slice(1) : raw;
  const pairs = text.match(/\r\n/g)?.length ?? 0;
  const feeds = text.match(/\n/g)?.length ?? 0;
  const returns = text.match(/\r/g)?.length ?? 0;
  const separator = pairs > 0 && pairs === feeds && pairs === returns ? "\r\n" : "\n";
  return { text, hasByteOrderMark, separator };
}

export function joinText(file: FileText, text: string): string {
  return file.hasByteOrderMark ? BYTE_ORDER_MARK + text : text;
}

/** What a person may want to know about a file that is not as most are. */
export function describeText(file: FileText): string[] {
  const words: string[] = [];
  if (file.separator === "\r\n") words.push("Windows line ends");
  if (file.separator === "\n" && file.text.includes("\r")) words.push("mixed line ends");
  if (file.hasByteOrderMark) words.push("begins with a byte order mark");
  return words;
}
