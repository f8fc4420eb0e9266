// Answers may come in another order than their questions: what was asked last counts.

/** One of several questions about the same thing. */
export interface Question {
  /** Whether nothing was asked since. */
  isLatest(): boolean;
  /** Takes the answer; false: that of a later question was taken already. */
  take(): boolean;
}

export class Questions {
  #asked = 0;
  #taken = 0;

  ask(): Question {
    const asked = (this.#asked += 1);
    return {
      isLatest: () => asked === this.#asked,
      take: () => {
        if (asked < this.#taken) return false;
        this.#taken = asked;
        return true;
      },
    };
  }
}
