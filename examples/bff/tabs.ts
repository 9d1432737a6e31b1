/** The tabs of GraphiQL. Each runs without changes. */
export const tabs = [
  `
# The order comes from its own subgraph. The customer
# costs one upstream call, which also returns the token.
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
# Tickets use the other key of the entity: your own
# object reference id.
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
# 1004 has no customer. 1005 fails; the others do not.
# Select objectReferenceId to see whether a customer
# exists: the id comes from the order.
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
# Results of mutations are data. Routers do not change
# them.
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
