/** Page-relative, wherever the page lies. */
export const beside = (path: string): string => new URL(path, import.meta.url).href;
