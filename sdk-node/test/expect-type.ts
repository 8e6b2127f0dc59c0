/** For the tests of types. */

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** `expectType<Expected>()(value, true)` compiles if the type of *value* is just that. */
export function expectType<Expected>() {
  return <Actual>(_value: Actual, _same: Same<Expected, Actual>): void => {};
}
