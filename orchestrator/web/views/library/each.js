// The same for several assets, a few at a time.

const AT_ONCE = 4;

/** Do something for each, and give how many failed and the first error. */
export async function each(things, act) {
  const rest = [...things];
  const result = { failed: 0, error: null };
  const work = async () => {
    while (rest.length) {
      try {
        await act(rest.shift());
      } catch (error) {
        result.failed += 1;
        result.error ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return result;
}
