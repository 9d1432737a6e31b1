import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App.tsx';
import { restore } from './session.ts';
import './styles.css';

const root = document.getElementById('root');
if (root === null) throw new Error('The page has no #root.');
void restore();
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
