const steps = ['Your details', 'Payment'];

export function Steps({ at }: { at: number }) {
  return (
    <ol className="steps" aria-label="Checkout">
      {steps.map((name, index) => (
        <li key={name} aria-current={index + 1 === at ? 'step' : undefined} className={index + 1 < at ? 'done' : ''}>
          <span className="number" aria-hidden="true">
            {index + 1 < at ? '✓' : index + 1}
          </span>{' '}
          {name}
        </li>
      ))}
    </ol>
  );
}
