const money = new Intl.NumberFormat('en-IN', { style: 'currency', currency: 'INR', maximumFractionDigits: 0 });
const items = [
  {
    name: 'Oak frame, A3',
    note: 'Natural oil, clear glass',
    price: 2450,
    picture: <path className="wood" d="M13 9h22v30H13z" />,
  },
  {
    name: 'Fern study no. 4',
    note: 'Giclée print on cotton',
    price: 1500,
    picture: <path d="M24 40V10m0 26-8-6m8 0-9-6m9 0-8-6m8 0-6-5m6 23 8-6m-8 0 9-6m-9 0 8-6m-8 0 6-5" />,
  },
];
const delivery = 200;
const total = items.reduce((sum, { price }) => sum + price, delivery);

/** The order. It is constant in this example. */
export function Order() {
  return (
    <aside className="order" aria-labelledby="order">
      <h2 id="order">Your order</h2>
      <ul>
        {items.map(({ name, note, price, picture }) => (
          <li key={name}>
            <svg className="thumb" viewBox="0 0 48 48" aria-hidden="true">
              {picture}
            </svg>
            <span>
              {name}
              <small>{note}</small>
            </span>
            <span>{money.format(price)}</span>
          </li>
        ))}
      </ul>
      <dl>
        <div>
          <dt>Delivery</dt>
          <dd>{money.format(delivery)}</dd>
        </div>
        <div className="total">
          <dt>Total</dt>
          <dd>{money.format(total)}</dd>
        </div>
      </dl>
    </aside>
  );
}
