/** import.meta.url of the script build: a script is "current" only while it is evaluated. */
export const scriptUrl = (globalThis.document?.currentScript as HTMLScriptElement | null)?.src;
