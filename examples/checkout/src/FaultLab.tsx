import { useCallback, useEffect, useState } from 'react';

/** The choices of the panel and the sandbox faults that each one arms. */
const scenes: readonly { name: string; does: string; faults: readonly object[] }[] = [
  {
    name: 'Answers get lost',
    does: 'Saves are done, their answers are not: the gateway looks, and tells.',
    faults: ['create', 'update'].map((on) => ({ fault: '500', on, afterCommit: true })),
  },
  {
    name: 'Outage while saving',
    does: 'A registration is saved, its answer is lost, and nothing can be read: nobody knows. Send it again when it is over.',
    faults: [
      { fault: '503', on: 'create', afterCommit: true },
      { fault: '503', on: 'get' },
    ],
  },
  { name: 'Provider is down', does: 'Nothing is done, nothing can be read.', faults: [{ fault: '503' }] },
  {
    name: 'Too many requests',
    does: 'The provider wants to be left alone for eight seconds.',
    faults: [{ fault: '429', retryAfter: '8' }],
  },
  {
    name: 'Number refused',
    does: 'The provider finds fault with the mobile number, which no rule here could know.',
    faults: ['create', 'update'].map((on) => ({ fault: 'invalid', on })),
  },
  {
    name: 'No payment token',
    does: 'The customer is answered without one.',
    faults: [{ fault: 'no_token', on: 'get' }],
  },
  { name: 'Wrong key', does: 'The gateway’s own credentials are refused.', faults: [{ fault: 'unauthorized' }] },
];

/** Arms faults of the sandbox to show how the checkout handles them. For this example only. */
export function FaultLab() {
  const [armed, setArmed] = useState<string>();
  const [problem, setProblem] = useState(false);

  const arm = useCallback(async (name: string | undefined, faults: readonly object[]) => {
    const send = async (method: string, body?: object) => {
      const answer = await fetch('/__admin/faults', { method, ...(body && { body: JSON.stringify(body) }) });
      if (!answer.ok) throw new Error('The sandbox refused.');
    };
    try {
      await send('DELETE');
      for (const fault of faults) await send('POST', { ...fault, times: 1_000_000 });
      setArmed(name);
      setProblem(false);
    } catch {
      setProblem(true);
    }
  }, []);
  // Faults that were armed before a reload are unknown here, so disarm them.
  useEffect(() => void arm(undefined, []), [arm]);

  return (
    <details className="lab">
      <summary>
        <span className="chip">Sandbox</span> What should go wrong?
        <span className="state" role="status">
          {problem ? 'The sandbox does not answer.' : armed && `Now: ${armed}`}
        </span>
      </summary>
      <div className="scenes">
        <button
          type="button"
          className="well"
          aria-pressed={armed === undefined}
          onClick={() => void arm(undefined, [])}
        >
          Nothing
          <small>The provider is well.</small>
        </button>
        {scenes.map(({ name, does, faults }) => (
          <button type="button" key={name} aria-pressed={armed === name} onClick={() => void arm(name, faults)}>
            {name}
            <small>{does}</small>
          </button>
        ))}
      </div>
    </details>
  );
}
