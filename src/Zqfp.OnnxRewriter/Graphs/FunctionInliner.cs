using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// Puts the bodies of a model's own functions in the place of their calls, so that the linear layers inside them are layers of the graph.
/// </summary>
/// <remarks>
/// A function stays a function where its operators have kernels of their own (domain <c>zqfp</c>), where it needs other versions of
/// operator sets than the model, or where it is called from inside a subgraph.
/// </remarks>
internal static class FunctionInliner
{
    /// <summary>Calls inside calls are followed so deep; deeper ones call themselves.</summary>
    private const int MaxDepth = 64;

    /// <summary>Nodes at most: a small file can call its way to any number.</summary>
    private const int MaxNodes = 1 << 20;

    /// <summary>Inlines what can be inlined and removes functions that nothing calls any more.</summary>
    public static void Inline(ModelProto model)
    {
        Dictionary<FunctionKey, FunctionProto> functions = [];
        foreach (FunctionProto function in model.Functions.Where(function => CanInline(function, model)))
        {
            functions[FunctionKey.Of(function)] = function;
        }

        if (functions.Count == 0)
        {
            return;
        }

        var names = new FreshNames(model.Graph);
        List<NodeProto> nodes = [];
        foreach (NodeProto node in model.Graph.Node)
        {
            Expand(node, functions, names, nodes, MaxDepth);
            if (nodes.Count > MaxNodes)
            {
                return;
            }
        }

        model.Graph.Node.Clear();
        model.Graph.Node.AddRange(nodes);
        HashSet<FunctionKey> called = [];
        Called(model.Graph.Node, called);
        foreach (FunctionProto function in model.Functions.Where(function => !functions.ContainsKey(FunctionKey.Of(function))))
        {
            Called(function.Node, called);
        }

        foreach (FunctionProto function in functions.Values.Where(function => !called.Contains(FunctionKey.Of(function))))
        {
            model.Functions.Remove(function);
        }
    }

    private static bool CanInline(FunctionProto function, ModelProto model) =>
        function.Domain != OperatorNames.Domain
        && function.OpsetImport.All(import => model.OpsetImport.FirstOrDefault(known => known.Domain == import.Domain) is not { } known
            ? model.OpsetImport.All(other => other.Domain != import.Domain) && IsOwnDomain(import.Domain, model)
            : known.Version == import.Version);

    /// <summary>A domain of the model's own functions needs no import once they are inlined.</summary>
    private static bool IsOwnDomain(string domain, ModelProto model) => model.Functions.Any(function => function.Domain == domain);

    private static void Called(IEnumerable<NodeProto> nodes, HashSet<FunctionKey> called)
    {
        foreach (NodeProto node in nodes)
        {
            called.Add(FunctionKey.Of(node));
            foreach (GraphProto graph in Subgraphs.Of(node))
            {
                Called(graph.Node, called);
            }
        }
    }

    private static void Expand(
        NodeProto node, Dictionary<FunctionKey, FunctionProto> functions, FreshNames names, List<NodeProto> nodes, int depth)
    {
        if (depth == 0 || nodes.Count > MaxNodes || !functions.TryGetValue(FunctionKey.Of(node), out FunctionProto? function))
        {
            nodes.Add(node);
            return;
        }

        string prefix = node.Name.Length > 0 ? node.Name : node.Output.FirstOrDefault() ?? function.Name;
        Dictionary<string, string> renamed = new(StringComparer.Ordinal) { [string.Empty] = string.Empty };
        for (int i = 0; i < function.Input.Count; i++)
        {
            renamed[function.Input[i]] = node.Input.ElementAtOrDefault(i) ?? string.Empty;
        }

        List<NodeProto> passed = [];
        for (int i = 0; i < function.Output.Count; i++)
        {
            string output = node.Output.ElementAtOrDefault(i) is { Length: > 0 } given
                ? given
                : names.Make($"{prefix}/{function.Output[i]}");
            if (!renamed.TryAdd(function.Output[i], output))
            {
                passed.Add(new NodeProto
                {
                    OpType = "Identity",
                    Name = names.Make($"{prefix}/{function.Output[i]}"),
                    Input = { renamed[function.Output[i]] },
                    Output = { output },
                });
            }
        }

        foreach (NodeProto inner in function.Node)
        {
            NodeProto copy = inner.Clone();
            Resolve(copy, node, function);
            Rename(copy, renamed, value => names.Make($"{prefix}/{value}"));
            copy.Name = inner.Name.Length > 0 ? names.Make($"{prefix}/{inner.Name}") : string.Empty;
            Expand(copy, functions, names, nodes, depth - 1);
        }

        nodes.AddRange(passed);
    }

    /// <summary>
    /// Puts the call's attributes, or the function's defaults, where the body refers to them; what neither has is left out.
    /// </summary>
    private static void Resolve(NodeProto node, NodeProto call, FunctionProto function)
    {
        foreach (AttributeProto attribute in node.Attribute.Where(attribute => attribute.RefAttrName.Length > 0).ToArray())
        {
            AttributeProto? given = call.Attribute.Concat(function.AttributeProto)
                .FirstOrDefault(known => known.Name == attribute.RefAttrName);
            node.Attribute.Remove(attribute);
            if (given is not null)
            {
                AttributeProto copy = given.Clone();
                copy.Name = attribute.Name;
                node.Attribute.Add(copy);
            }
        }

        foreach (NodeProto inner in Subgraphs.Of(node).SelectMany(graph => graph.Node))
        {
            Resolve(inner, call, function);
        }
    }

    /// <summary>
    /// Renames what a node and its subgraphs read and make; a name that is not known yet is one the function's body makes.
    /// </summary>
    internal static void Rename(NodeProto node, Dictionary<string, string> renamed, Func<string, string> fresh)
    {
        for (int i = 0; i < node.Input.Count; i++)
        {
            node.Input[i] = renamed.GetValueOrDefault(node.Input[i], node.Input[i]);
        }

        foreach (GraphProto graph in Subgraphs.Of(node))
        {
            // What a subgraph makes itself hides the outer value of that name.
            Dictionary<string, string> inside = new(renamed, StringComparer.Ordinal);
            foreach (string local in graph.Input.Select(input => input.Name)
                .Concat(graph.Initializer.Select(tensor => tensor.Name))
                .Concat(graph.Node.SelectMany(inner => inner.Output)))
            {
                inside.Remove(local);
            }

            foreach (NodeProto inner in graph.Node)
            {
                Rename(inner, inside, local => local);
            }

            foreach (ValueInfoProto output in graph.Output)
            {
                output.Name = inside.GetValueOrDefault(output.Name, output.Name);
            }
        }

        for (int i = 0; i < node.Output.Count; i++)
        {
            string made = node.Output[i];
            if (!renamed.TryGetValue(made, out string? name))
            {
                renamed.Add(made, name = fresh(made));
            }

            node.Output[i] = name;
        }
    }
}
