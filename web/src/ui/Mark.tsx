/** The mark: three spans of a trace. */
export function Mark() {
  return (
    <svg class="mark" width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="currentColor" />
      <path d="M7 10h12M11 16h14M11 22h8" stroke="var(--on-accent)" stroke-width="3.2" stroke-linecap="round" />
    </svg>
  );
}
