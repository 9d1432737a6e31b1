/** What a field may not leave behind: who a person is, or what opens a door. */
export type Mark = 'personal' | 'secret';

/**
 * The one place where fields are marked, by name. The schema carries the marks (`extensions.privacy`). The log
 * writes an allow-list of fields, and a test proves that none of them is marked.
 */
export const marks: Readonly<Record<string, Mark>> = {
  id: 'personal',
  ids: 'personal',
  objectReferenceId: 'personal',
  firstName: 'personal',
  lastName: 'personal',
  emailAddress: 'personal',
  mobileNumber: 'personal',
  mobileCountryCode: 'personal',
  token: 'secret',
  clientAuthToken: 'secret',
  authorization: 'secret',
  apiKey: 'secret',
  variables: 'personal',
  query: 'personal',
  input: 'personal',
};
