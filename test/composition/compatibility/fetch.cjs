// In place of the suite's own: it knows one address of the router, which may be taken here.
module.exports = (url, options) => fetch(url === 'http://localhost:4000/' ? process.env.ROUTER_URL : url, options);
