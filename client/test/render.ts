import { createElement, type ReactNode } from 'react';
import type { Root } from 'react-dom/client';

function node(ownerDocument: object, nodeType: number): object {
  return {
    nodeType,
    nodeName: nodeType === 9 ? '#document' : 'DIV',
    tagName: 'DIV',
    namespaceURI: 'http://www.w3.org/1999/xhtml',
    ownerDocument,
    textContent: '',
    style: {},
    childNodes: [],
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    appendChild: () => undefined,
    removeChild: () => undefined,
    insertBefore: () => undefined,
    contains: () => true,
    setAttribute: () => undefined,
  };
}

/** Defines the globals of a browser that React needs to run hooks. Call it before React is imported. */
export function openPage(): void {
  const document: Record<string, unknown> = {
    ...node({}, 9),
    visibilityState: 'visible',
    createElement: () => node(document, 1),
  };
  document['body'] = node(document, 1);
  document['documentElement'] = node(document, 1);
  document['activeElement'] = document['body'];
  document['defaultView'] = globalThis;
  Object.assign(globalThis, {
    document,
    window: globalThis,
    HTMLIFrameElement: class {},
    IS_REACT_ACT_ENVIRONMENT: false,
  });
}

export interface Rendered<Value> {
  /** The latest value of the hook. */
  current(): Value;
  /** Resolves with the first value, including the current one, for which `isWanted` is true. */
  until(isWanted: (value: Value) => boolean): Promise<Value>;
  unmount(): void;
}

function Probe({ useValue, report }: { useValue: () => unknown; report: (value: unknown) => void }): ReactNode {
  report(useValue());
  return null;
}

/** Runs a hook in a component that renders nothing. */
export async function renderHook<Value>(
  hook: () => Value,
  wrap: (children: ReactNode) => ReactNode,
): Promise<Rendered<Value>> {
  const { createRoot } = await import('react-dom/client');
  const values: Value[] = [];
  const waiting = new Set<() => void>();
  const report = (value: unknown) => {
    values.push(value as Value);
    // Notify after this render, because a component must not update others while it renders.
    queueMicrotask(() => {
      for (const check of waiting) check();
    });
  };
  const container = (globalThis as unknown as { document: { createElement(): Element } }).document.createElement();
  const root: Root = createRoot(container);
  root.render(wrap(createElement(Probe, { useValue: hook, report })));
  const rendered: Rendered<Value> = {
    current: () => values.at(-1) as Value,
    until: (isWanted) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`Still ${JSON.stringify(values.at(-1))}`)), 10_000);
        const check = () => {
          const value = values.at(-1);
          if (values.length === 0 || !isWanted(value as Value)) return;
          clearTimeout(timer);
          waiting.delete(check);
          resolve(value as Value);
        };
        waiting.add(check);
        check();
      }),
    unmount: () => root.unmount(),
  };
  await rendered.until(() => true);
  return rendered;
}
