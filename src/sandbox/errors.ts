const userError = (code: string, developer: string) => ({
  code,
  category: 'USER_ERROR',
  user_message: developer,
  developer_message: developer,
});

/** The provider's error bodies, from its documents and captured responses. */
export const errorBodies = {
  duplicate: {
    status: 'invalid_request_error',
    error_code: 'unique',
    error_message: 'Customer with given object reference id already exist for your account.',
    error_info: {
      code: 'ALREADY_EXISTS',
      category: 'USER_ERROR',
      user_message: 'Already exists.',
      developer_message: 'Customer account with given object reference already exists.',
    },
  },
  invalid: (field: string) => ({
    status: 'Invalid Request',
    error_code: 'Invalid Request',
    error_message: `Wrong value in ${field}`,
    error_info: {
      code: 'INVALID_INPUT',
      category: 'USER_ERROR',
      user_message: 'Invalid request params. Please verify your input.',
      developer_message: 'Invalid request params',
      fields: [{ field_name: field, reason: 'Invalid value.' }],
    },
  }),
  missing: (field: string) => ({
    status: 'Bad Request',
    error_code: 'Mandatory fields are missing',
    error_info: {
      ...userError('MISSING_MANDATORY_PARAMETER', 'Mandatory fields are missing.'),
      fields: [{ field_name: field, reason: 'Missing.' }],
    },
  }),
  notFound: {
    status: 'invalid_request_error',
    error_code: 'object_not_found',
    error_message: 'Cannot find what you are looking for',
    error_info: {
      code: 'RESOURCE_NOT_FOUND',
      category: 'USER_ERROR',
      user_message: 'Cannot process your request as customer account not found.',
      developer_message: 'Customer account not found.',
    },
  },
  unauthorized: {
    status: 'error',
    error_code: 'access_denied',
    error_info: {
      code: 'UNAUTHORIZED',
      category: 'USER_ERROR',
      request_id: '00000000-0000-4000-8000-000000000000',
      user_message: 'Unauthorized.',
      developer_message: 'Invalid API Key. Please pass a valid and active api key.',
    },
  },
  badOrigin: {
    error: true,
    error_message: 'Internal Server error.',
    user_message: 'Bad Origin.',
    error_info: {
      code: 'BAD_ORIGIN',
      category: 'USER_ERROR',
      user_message: 'Bad Origin.',
      developer_message: 'IP Verification Failed',
    },
  },
  badOriginOld: {
    status: 'bad_origin',
    error_code: 'bad_origin',
    error_message: 'Bad origin.',
    juspay_request_id: '00000000000000000000000000000000',
  },
  duplicateRequest: {
    status: 'error',
    error_message: 'Another request is in progress.',
    error_info: userError('DUPLICATE_REQUEST', 'Another request with this identifier is in progress.'),
  },
  generic: {
    status: 'error',
    error_code: 'invalid_request',
    error_message: 'Invalid request.',
    error_info: { ...userError('UNKNOWN_ERROR', 'Unknown error.'), category: 'UNKNOWN' },
  },
  internal: {
    status: 'internal_error',
    error_code: 'INTERNAL_ERROR',
    error_message: 'Something went wrong at db-17.internal for asha.rao@example.com',
    error_info: {
      code: 'INTERNAL_ERROR',
      category: 'SERVER_ERROR',
      user_message: 'Error.',
      developer_message: 'Error.',
    },
  },
};
