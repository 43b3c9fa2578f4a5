// Requests to the rig. A browser has six connections to it: what is only looked at makes room for what controls it.

const TIMEOUT_MS = 5000, ANSWER_MS = 15000;
let looking = new AbortController();

export async function request(path, options = {}) {
  const controls = options.method === "POST";
  const signals = [AbortSignal.timeout(controls ? ANSWER_MS : TIMEOUT_MS)];
  if (controls) {
    looking.abort();
    looking = new AbortController();
  } else {
    signals.push(looking.signal);
  }
  const signal = AbortSignal.any ? AbortSignal.any(signals) : signals[0];
  const answer = await fetch(path, { ...options, cache: "no-store", signal });
  if (!answer.ok) throw new Error((await answer.text()).trim() || `answer ${answer.status}`);
  return answer;
}
