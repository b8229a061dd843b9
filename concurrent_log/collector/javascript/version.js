// The version of the package, which is also the version of the server that it belongs to.

export const VERSION = "2.0.0";
