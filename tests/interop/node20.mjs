// Loaded before everything else: libp2p 3 expects Promise.withResolvers, which Node has from version 22 on.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}
