/** Visibility of the page. Tests pass their own. */
export interface Visibility {
  isHidden(): boolean;
  /** Subscribes to changes. The returned function unsubscribes. */
  onChange(call: () => void): () => void;
}

/** The used part of `document`. In React Native a library can define a `document` without these members. */
interface Page {
  readonly visibilityState?: string;
  addEventListener?(type: string, call: () => void): void;
  removeEventListener?(type: string, call: () => void): void;
}

/** The page, if there is one. */
export function pageOf(): Page | undefined {
  return (globalThis as { document?: Page }).document;
}

export const pageVisibility: Visibility = {
  isHidden: () => pageOf()?.visibilityState === 'hidden',
  onChange(call) {
    const page = pageOf();
    page?.addEventListener?.('visibilitychange', call);
    return () => page?.removeEventListener?.('visibilitychange', call);
  },
};
