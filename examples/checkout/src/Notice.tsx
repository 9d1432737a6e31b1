import { type ReactNode, useEffect, useRef } from 'react';

const icons = {
  info: 'M12 11v5m0-8.5v.01',
  success: 'm8 12.5 2.8 2.8L16.5 9',
  warning: 'M12 7.5v5.5m0 3v.01',
  error: 'm9 9 6 6m0-6-6 6',
};

/**
 * A message. With `takesFocus` it takes the focus, for messages that replace the focused element: otherwise keyboard and
 * screen reader users would be left on a removed button.
 */
export function Notice({
  tone,
  title,
  children,
  takesFocus = false,
  isLive = true,
}: {
  tone: keyof typeof icons;
  title: string;
  children?: ReactNode;
  takesFocus?: boolean;
  /** Whether it is a live region. Set to false inside another live region. */
  isLive?: boolean;
}) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (takesFocus) box.current?.focus();
  }, [takesFocus]);
  const role = tone === 'error' ? 'alert' : 'status';
  return (
    <div className={`notice ${tone}`} role={isLive ? role : undefined} tabIndex={-1} ref={box}>
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <circle cx="12" cy="12" r="9.5" />
        <path d={icons[tone]} />
      </svg>
      <div>
        <p className="title">{title}</p>
        {children}
      </div>
    </div>
  );
}

/** A heading that takes the focus when it is mounted. */
export function Heading({ children, takesFocus = true }: { children: ReactNode; takesFocus?: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (takesFocus) heading.current?.focus();
  }, [takesFocus]);
  return (
    <h1 tabIndex={-1} ref={heading}>
      {children}
    </h1>
  );
}
