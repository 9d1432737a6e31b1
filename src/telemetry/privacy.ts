/** The class of a protected field: it identifies a person, or it grants access. */
export type Mark = 'personal' | 'secret';

/**
 * Marks protected fields by name. The schema carries the marks in `extensions.privacy`. A test checks that no field of the log's
 * allow-list is marked.
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
