/** One tab of GraphiQL for each thing to see; each runs as it is. */
export const tabs = [
  `
# The order comes from its own subgraph, the customer
# from the provider: one upstream call, token included.
query OrderWithToken {
  order(id: "1001") {
    total
    customer {
      firstName
      clientAuthToken {
        token
      }
    }
  }
}`,
  `
# Tickets know customers by your own reference:
# the other key of the same entity.
query TicketByReference {
  ticket(id: "2") {
    subject
    customer {
      id
      firstName
    }
  }
}`,
  `
# Five orders, four customers, four upstream calls.
# 1004: there is none. 1005: it fails, alone.
# objectReferenceId tells who exists: the id is the
# order's own.
query Orders {
  orders {
    id
    customer {
      id
      objectReferenceId
      firstName
    }
  }
}`,
  `
# Results of mutations are data, and come through
# every router as they are.
mutation InvalidCustomer {
  createCustomer(
    input: { objectReferenceId: "short", mobileNumber: "+91 90000", emailAddress: "not an address" }
  ) {
    __typename
    ... on CustomerValidationError {
      code
      issues {
        path
        code
      }
    }
    ... on CustomerError {
      message
      retryable
    }
  }
}`,
].map((query) => ({ query: query.trim() }));
