/** Starts the driver, with an SDK that is built from the sources as they are. */

await import('./build.mjs');
await import('./driver.mjs');
