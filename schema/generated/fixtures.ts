// Generated from the schema and the operations. Do not edit: change those, and generate again.
import type {
  CreateCustomerMutation,
  CreateCustomerWithTokenMutation,
  CustomerQuery,
  CustomerWithTokenQuery,
  CustomersQuery,
  UpdateCustomerMutation,
} from './operations.ts';

/** Answers to `CreateCustomer`. */
export const createCustomerFixtures = {
  "byDefault": {
    "createCustomer": {
      "origin": "CREATED",
      "customer": {
        "id": "cth_Fixture1Fixture1F",
        "objectReferenceId": "customer-fixture",
        "firstName": "Asha",
        "lastName": "Rao",
        "emailAddress": "asha@example.com",
        "mobileNumber": "9000000001",
        "mobileCountryCode": "91",
        "dateCreated": "2026-01-31T09:30:00Z",
        "lastUpdated": "2026-01-31T09:30:00Z",
        "__typename": "Customer"
      },
      "__typename": "CreateCustomerSuccess"
    }
  },
  "CreateCustomerSuccess": {
    "createCustomer": {
      "origin": "CREATED",
      "customer": {
        "id": "cth_Fixture1Fixture1F",
        "objectReferenceId": "customer-fixture",
        "firstName": "Asha",
        "lastName": "Rao",
        "emailAddress": "asha@example.com",
        "mobileNumber": "9000000001",
        "mobileCountryCode": "91",
        "dateCreated": "2026-01-31T09:30:00Z",
        "lastUpdated": "2026-01-31T09:30:00Z",
        "__typename": "Customer"
      },
      "__typename": "CreateCustomerSuccess"
    }
  },
  "CustomerAlreadyExistsError": {
    "createCustomer": {
      "code": "ALREADY_EXISTS",
      "message": "An example.",
      "retryable": false,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerAlreadyExistsError",
      "existing": {
        "id": "cth_Fixture1Fixture1F",
        "objectReferenceId": "customer-fixture",
        "firstName": "Asha",
        "lastName": "Rao",
        "emailAddress": "asha@example.com",
        "mobileNumber": "9000000001",
        "mobileCountryCode": "91",
        "dateCreated": "2026-01-31T09:30:00Z",
        "lastUpdated": "2026-01-31T09:30:00Z",
        "__typename": "Customer"
      },
      "differingFields": [
        "mobileNumber"
      ]
    }
  },
  "CustomerOutcomeUnknownError": {
    "createCustomer": {
      "code": "OUTCOME_UNKNOWN",
      "message": "An example.",
      "retryable": true,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerOutcomeUnknownError"
    }
  },
  "CustomerUpstreamError": {
    "createCustomer": {
      "code": "UPSTREAM_UNAVAILABLE",
      "message": "An example.",
      "retryable": true,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerUpstreamError",
      "retryAfterSeconds": 2
    }
  },
  "CustomerValidationError": {
    "createCustomer": {
      "code": "VALIDATION_FAILED",
      "message": "An example.",
      "retryable": false,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerValidationError",
      "issues": [
        {
          "path": [
            "input",
            "mobileNumber"
          ],
          "code": "INVALID_FORMAT",
          "message": "An example.",
          "__typename": "CustomerValidationIssue"
        }
      ]
    }
  }
} satisfies Record<string, CreateCustomerMutation>;

/** Answers to `CreateCustomerWithToken`. */
export const createCustomerWithTokenFixtures = {
  "byDefault": {
    "createCustomer": {
      "origin": "CREATED",
      "customer": {
        "id": "cth_Fixture1Fixture1F",
        "objectReferenceId": "customer-fixture",
        "firstName": "Asha",
        "lastName": "Rao",
        "emailAddress": "asha@example.com",
        "mobileNumber": "9000000001",
        "mobileCountryCode": "91",
        "dateCreated": "2026-01-31T09:30:00Z",
        "lastUpdated": "2026-01-31T09:30:00Z",
        "__typename": "Customer",
        "clientAuthToken": {
          "token": "tkn_00000000000000000000000000000000",
          "expiresAt": "2026-01-31T09:45:00Z",
          "expiresInSeconds": 900,
          "__typename": "ClientAuthToken"
        }
      },
      "__typename": "CreateCustomerSuccess"
    }
  },
  "CreateCustomerSuccess": {
    "createCustomer": {
      "origin": "CREATED",
      "customer": {
        "id": "cth_Fixture1Fixture1F",
        "objectReferenceId": "customer-fixture",
        "firstName": "Asha",
        "lastName": "Rao",
        "emailAddress": "asha@example.com",
        "mobileNumber": "9000000001",
        "mobileCountryCode": "91",
        "dateCreated": "2026-01-31T09:30:00Z",
        "lastUpdated": "2026-01-31T09:30:00Z",
        "__typename": "Customer",
        "clientAuthToken": {
          "token": "tkn_00000000000000000000000000000000",
          "expiresAt": "2026-01-31T09:45:00Z",
          "expiresInSeconds": 900,
          "__typename": "ClientAuthToken"
        }
      },
      "__typename": "CreateCustomerSuccess"
    }
  },
  "CustomerAlreadyExistsError": {
    "createCustomer": {
      "code": "ALREADY_EXISTS",
      "message": "An example.",
      "retryable": false,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerAlreadyExistsError",
      "existing": {
        "id": "cth_Fixture1Fixture1F",
        "objectReferenceId": "customer-fixture",
        "firstName": "Asha",
        "lastName": "Rao",
        "emailAddress": "asha@example.com",
        "mobileNumber": "9000000001",
        "mobileCountryCode": "91",
        "dateCreated": "2026-01-31T09:30:00Z",
        "lastUpdated": "2026-01-31T09:30:00Z",
        "__typename": "Customer"
      },
      "differingFields": [
        "mobileNumber"
      ]
    }
  },
  "CustomerOutcomeUnknownError": {
    "createCustomer": {
      "code": "OUTCOME_UNKNOWN",
      "message": "An example.",
      "retryable": true,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerOutcomeUnknownError"
    }
  },
  "CustomerUpstreamError": {
    "createCustomer": {
      "code": "UPSTREAM_UNAVAILABLE",
      "message": "An example.",
      "retryable": true,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerUpstreamError",
      "retryAfterSeconds": 2
    }
  },
  "CustomerValidationError": {
    "createCustomer": {
      "code": "VALIDATION_FAILED",
      "message": "An example.",
      "retryable": false,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerValidationError",
      "issues": [
        {
          "path": [
            "input",
            "mobileNumber"
          ],
          "code": "INVALID_FORMAT",
          "message": "An example.",
          "__typename": "CustomerValidationIssue"
        }
      ]
    }
  }
} satisfies Record<string, CreateCustomerWithTokenMutation>;

/** Answers to `Customer`. */
export const customerFixtures = {
  "byDefault": {
    "customer": {
      "id": "cth_Fixture1Fixture1F",
      "objectReferenceId": "customer-fixture",
      "firstName": "Asha",
      "lastName": "Rao",
      "emailAddress": "asha@example.com",
      "mobileNumber": "9000000001",
      "mobileCountryCode": "91",
      "dateCreated": "2026-01-31T09:30:00Z",
      "lastUpdated": "2026-01-31T09:30:00Z",
      "__typename": "Customer"
    }
  }
} satisfies Record<string, CustomerQuery>;

/** Answers to `CustomerWithToken`. */
export const customerWithTokenFixtures = {
  "byDefault": {
    "customer": {
      "id": "cth_Fixture1Fixture1F",
      "objectReferenceId": "customer-fixture",
      "clientAuthToken": {
        "token": "tkn_00000000000000000000000000000000",
        "expiresAt": "2026-01-31T09:45:00Z",
        "expiresInSeconds": 900,
        "__typename": "ClientAuthToken"
      },
      "__typename": "Customer"
    }
  }
} satisfies Record<string, CustomerWithTokenQuery>;

/** Answers to `Customers`. */
export const customersFixtures = {
  "byDefault": {
    "customers": [
      {
        "id": "cth_Fixture1Fixture1F",
        "objectReferenceId": "customer-fixture",
        "firstName": "Asha",
        "lastName": "Rao",
        "emailAddress": "asha@example.com",
        "mobileNumber": "9000000001",
        "mobileCountryCode": "91",
        "dateCreated": "2026-01-31T09:30:00Z",
        "lastUpdated": "2026-01-31T09:30:00Z",
        "__typename": "Customer"
      }
    ]
  }
} satisfies Record<string, CustomersQuery>;

/** Answers to `UpdateCustomer`. */
export const updateCustomerFixtures = {
  "byDefault": {
    "updateCustomer": {
      "code": "NOT_FOUND",
      "message": "An example.",
      "retryable": false,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerNotFoundError"
    }
  },
  "CustomerNotFoundError": {
    "updateCustomer": {
      "code": "NOT_FOUND",
      "message": "An example.",
      "retryable": false,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerNotFoundError"
    }
  },
  "CustomerOutcomeUnknownError": {
    "updateCustomer": {
      "code": "OUTCOME_UNKNOWN",
      "message": "An example.",
      "retryable": true,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerOutcomeUnknownError"
    }
  },
  "CustomerUpstreamError": {
    "updateCustomer": {
      "code": "UPSTREAM_UNAVAILABLE",
      "message": "An example.",
      "retryable": true,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerUpstreamError",
      "retryAfterSeconds": 2
    }
  },
  "CustomerValidationError": {
    "updateCustomer": {
      "code": "VALIDATION_FAILED",
      "message": "An example.",
      "retryable": false,
      "requestId": "00000000-0000-4000-8000-000000000000",
      "__typename": "CustomerValidationError",
      "issues": [
        {
          "path": [
            "input",
            "mobileNumber"
          ],
          "code": "INVALID_FORMAT",
          "message": "An example.",
          "__typename": "CustomerValidationIssue"
        }
      ]
    }
  },
  "UpdateCustomerSuccess": {
    "updateCustomer": {
      "customer": {
        "id": "cth_Fixture1Fixture1F",
        "objectReferenceId": "customer-fixture",
        "firstName": "Asha",
        "lastName": "Rao",
        "emailAddress": "asha@example.com",
        "mobileNumber": "9000000001",
        "mobileCountryCode": "91",
        "dateCreated": "2026-01-31T09:30:00Z",
        "lastUpdated": "2026-01-31T09:30:00Z",
        "__typename": "Customer"
      },
      "__typename": "UpdateCustomerSuccess"
    }
  }
} satisfies Record<string, UpdateCustomerMutation>;
