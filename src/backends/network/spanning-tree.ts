// Which links of a network of switches make a tree: what the spanning tree protocol finds out by messages, known at once.

/** A function to be asked of one link after the other: whether it joins what those before it have joined already. */
export function closesCircle<Node>(): (a: Node, b: Node) => boolean {
  const parents = new Map<Node, Node>();
  const root = (node: Node): Node => {
    let top = node;
    for (let above = parents.get(top); above !== undefined; above = parents.get(top)) top = above;
    // The way up gets short for who asks next.
    for (let at = node; at !== top; ) {
      const above = parents.get(at) as Node;
      parents.set(at, top);
      at = above;
    }
    return top;
  };
  return (a, b) => {
    const [rootA, rootB] = [root(a), root(b)];
    if (rootA === rootB) return true;
    parents.set(rootB, rootA);
    return false;
  };
}
