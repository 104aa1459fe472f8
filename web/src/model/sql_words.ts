/** Colours a statement of SQL: splits it into words of five kinds. */

export type WordKind = "keyword" | "text" | "number" | "comment" | "plain";

export interface Word {
  readonly kind: WordKind;
  readonly text: string;
}

const KEYWORDS = new Set(
  `select from where group by order having limit offset join left right full inner outer cross lateral on using as and or not
   in is null like ilike between case when then else end distinct union all except intersect with recursive asc desc nulls
   first last over partition window rows range filter exists any cast describe explain pivot unpivot qualify values true
   false interval`
    .split(/\s+/)
    .filter(Boolean),
);

const PARTS =
  /(?<comment>--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<text>'(?:[^']|'')*(?:'|$))|(?<number>\b\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?\b)|(?<word>[A-Za-z_]\w*)/gi;

/** The words of a statement; together they are the statement again. */
export function sqlWords(statement: string): Word[] {
  const words: Word[] = [];
  let done = 0;
  for (const match of statement.matchAll(PARTS)) {
    const { comment, text, number } = match.groups ?? {};
    const isKeyword = KEYWORDS.has(match[0].toLowerCase());
    const kind = comment ? "comment" : text ? "text" : number ? "number" : isKeyword ? "keyword" : "plain";
    if (kind === "plain") continue;
    if (match.index > done) words.push({ kind: "plain", text: statement.slice(done, match.index) });
    words.push({ kind, text: match[0] });
    done = match.index + match[0].length;
  }
  if (done < statement.length) words.push({ kind: "plain", text: statement.slice(done) });
  return words;
}
