// Replaces the suite's fetch, which has a fixed address of the router. That port can be in use.
module.exports = (url, options) => fetch(url === 'http://localhost:4000/' ? process.env.ROUTER_URL : url, options);
