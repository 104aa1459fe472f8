/** Cuts texts to the room there is, and remembers how wide they were. */

/** More than a screen shows, few enough to be nothing of the memory. */
const KEPT = 20_000;

/** Letters without which a text says nothing. */
const FEWEST = 3;

export class Texts {
  #widths = new Map<string, number>();
  #cuts = new Map<string, string>();

  constructor(
    readonly font: string,
    readonly measure: (text: string, font: string) => number,
  ) {}

  width(text: string): number {
    let width = this.#widths.get(text);
    if (width === undefined) {
      if (this.#widths.size > KEPT) this.#widths.clear();
      width = this.measure(text, this.font);
      this.#widths.set(text, width);
    }
    return width;
  }

  #cut(text: string, letters: number): string {
    const key = `${letters}\t${text}`;
    let cut = this.#cuts.get(key);
    if (cut === undefined) {
      if (this.#cuts.size > KEPT) this.#cuts.clear();
      cut = `${text.slice(0, letters)}…`;
      this.#cuts.set(key, cut);
    }
    return cut;
  }

  /** The text, or its beginning with an ellipsis; empty where not even three letters fit. */
  fit(text: string, room: number): string {
    const width = this.width(text);
    if (width <= room) return text;
    // Letters differ in width: the share of the room is a guess that is taken back until it fits.
    for (let letters = Math.floor((room / width) * text.length); letters >= FEWEST; letters--) {
      const cut = this.#cut(text, letters);
      if (this.width(cut) <= room) return cut;
    }
    return "";
  }
}
