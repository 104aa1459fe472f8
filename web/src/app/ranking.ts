/** Finds what is meant by a few letters. */

/** Those whose text holds all words, beginnings of words first; everything where nothing was typed. */
export function ranked<T>(things: readonly T[], typed: string, textOf: (thing: T) => string): T[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const scored = things.map((thing, i) => ({ thing, i, score: score(textOf(thing).toLowerCase(), words) }));
  return scored
    .filter((one) => one.score >= 0)
    .sort((a, b) => b.score - a.score || a.i - b.i)
    .map((one) => one.thing);
}

/** The sum over the words: 2 for one that begins a word of the text, 1 for one within; -1 if one is missing. */
function score(text: string, words: readonly string[]): number {
  let sum = 0;
  for (const word of words) {
    const at = text.indexOf(word);
    if (at < 0) return -1;
    const begins = new RegExp(`(^|[^\\p{L}\\p{N}])${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`, "u");
    sum += begins.test(text) ? 2 : 1;
  }
  return sum;
}
