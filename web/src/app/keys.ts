/** The keyboard of the page: the registry itself is of the model, as views register into it. */

export * from "../model/keys";
