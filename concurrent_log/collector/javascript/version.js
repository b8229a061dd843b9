// The version of the package, which is also that of the server that it comes with.

export const VERSION = "2.0.0";
