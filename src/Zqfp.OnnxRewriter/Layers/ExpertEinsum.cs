using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>
/// An Einsum with the matrices of experts: those picked for each row, such as <c>tekn,tk->ten</c> or <c>rnk,rk->rn</c>, or all of them,
/// such as <c>etk,ekn->etn</c> or, where what is made of it meets experts too, <c>tk,ekn->ten</c>.
/// </summary>
internal static class ExpertEinsum
{
    /// <summary>Nodes looked at before the search for later experts is given up.</summary>
    private const int Limit = 64;

    /// <summary>The product, or null where the equation is none of this kind.</summary>
    public static LinearFormBuilder? Spell(GraphIndex graph, NodeProto node, LinearFormBuilder form)
    {
        if (EinsumEquation.Of(node) is not { } equation)
        {
            return null;
        }

        for (int side = 0; side < 2; side++)
        {
            (string matrices, string x) = (node.Input[side], node.Input[1 - side]);
            (string stacked, string rows) = side == 0 ? (equation.Left, equation.Right) : (equation.Right, equation.Left);
            string output = equation.Output;
            if (!EinsumForm.Expand(graph, x, ref rows, ref output, isSimple: false) || stacked.Contains(EinsumEquation.Ellipsis)
                || Labels.Of(stacked, rows, output) is not { } labels)
            {
                continue;
            }

            if (ExpertPick.Find(graph, matrices) is { } pick)
            {
                Picked(graph, form, pick, x, labels);
                return form.End();
            }

            if (labels.Experts.Length == 1 && ExpertsOf(graph, node, side) is { } experts
                && (rows.Contains(labels.Experts[0]) || MeetsExperts(graph, node, experts)))
            {
                AllAtOnce(form, matrices, experts, x, labels);
                return form.End();
            }
        }

        return null;
    }

    private static void Picked(GraphIndex graph, LinearFormBuilder form, ExpertPick pick, string x, Labels labels)
    {
        // Dimensions that the index alone has are 1 for the rows, which are repeated for them.
        string present = string.Concat(labels.Experts.Where(labels.Rows.Contains));
        string more = string.Concat(labels.Rows.Where(label => label != labels.Inner && !labels.Experts.Contains(label)));
        string ordered = EinsumForm.Reorder(form, x, labels.Rows, $"{more}{present}{labels.Inner}");
        long[] missing = [.. labels.Experts.Select((label, i) => (label, i)).Where(place => !labels.Rows.Contains(place.label))
            .Select(place => (long)(place.i + more.Length))];
        ordered = missing.Length == 0 ? ordered : form.Apply("Unsqueeze", [ordered, form.Integers(missing)]);
        (string repeated, string index) = ExpertForms.Broadcast(form, ordered, pick.SpellIndex(graph, form));
        string product = form.ExpertProduct(
            "", [repeated, index, pick.SpellStack(form)], labels.IsInputMajor != pick.IsTransposed);
        EinsumForm.Reorder(form, product, $"{more}{labels.Experts}{labels.Outer}", labels.Output);
    }

    private static void AllAtOnce(LinearFormBuilder form, string stack, int experts, string x, Labels labels)
    {
        // In the order of the output, so that rows stay beside the weights that they are multiplied with.
        char expert = labels.Experts[0];
        string order = string.Concat(labels.Output.Where(label => label != labels.Outer));
        int place = order.IndexOf(expert, StringComparison.Ordinal);
        bool isThere = labels.Rows.Contains(expert);
        string ordered = EinsumForm.Reorder(form, x, labels.Rows, $"{(isThere ? order : order.Remove(place, 1))}{labels.Inner}");
        string rows = form.Apply("Expand", [isThere ? ordered : form.Apply("Unsqueeze", [ordered, form.Integers(place)]),
            form.Integers([.. order.Select(label => label == expert ? (long)experts : 1), 1])]);
        string index = ExpertForms.InOrder(form, experts, rows, order.Length + 1, behind: order.Length - 1 - place);
        EinsumForm.Reorder(
            form, form.ExpertProduct("", [rows, index, stack], labels.IsInputMajor), $"{order}{labels.Outer}", labels.Output);
    }

    /// <summary>The experts of a constant factor [E, .., ..], or null.</summary>
    private static int? ExpertsOf(GraphIndex graph, NodeProto node, int side) =>
        ConstantWeight.TraceStack(graph, node.Input[side]) is not null ? ExpertForms.ExpertsOf(graph, node.Input[side]) : null;

    /// <summary>
    /// Whether what <paramref name="node"/> makes of all experts goes to products of as many experts, each to its own: the heads of an
    /// attention, which are spelled alike, do not.
    /// </summary>
    private static bool MeetsExperts(GraphIndex graph, NodeProto node, int experts)
    {
        Stack<string> open = new([node.Output[0]]);
        HashSet<string> seen = new(StringComparer.Ordinal);
        while (open.TryPop(out string? value))
        {
            if (!seen.Add(value) || seen.Count > Limit)
            {
                continue;
            }

            foreach (NodeProto reader in graph.Consumers(value))
            {
                int side = reader.Input.Count > 1 && reader.Input[0] == value ? 1 : 0;
                if (reader.OpType == "MatMul" && ExpertForms.ExpertsOf(graph, reader.Input[side]) == experts)
                {
                    return true;
                }

                if (reader.OpType == "Einsum")
                {
                    if (ExpertsOf(graph, reader, side) == experts && EinsumEquation.Of(reader) is { } equation
                        && (side == 0 ? Labels.Of(equation.Left, equation.Right, equation.Output)
                            : Labels.Of(equation.Right, equation.Left, equation.Output)) is { } labels
                        && labels.Rows.Contains(labels.Experts[0]))
                    {
                        return true;
                    }
                }
                else if (reader.OpType is "Split" or "Slice" or "Transpose" || RoutingWeights.IsElementWise(reader))
                {
                    reader.Output.Where(made => made.Length > 0).ToList().ForEach(open.Push);
                }
            }
        }

        return false;
    }

    /// <summary>What the labels of an equation stand for.</summary>
    /// <param name="Experts">Dimensions of the matrices that tell one from the other.</param>
    /// <param name="Inner">The dimension that is summed over.</param>
    /// <param name="Outer">The dimension that the matrices bring.</param>
    /// <param name="IsInputMajor">Whether the matrices are [K, N].</param>
    /// <param name="Rows">Labels of the other factor.</param>
    /// <param name="Output">Labels of the product.</param>
    private sealed record Labels(string Experts, char Inner, char Outer, bool IsInputMajor, string Rows, string Output)
    {
        /// <summary>The labels of a product of matrices, or null where the equation is none.</summary>
        public static Labels? Of(string stacked, string rows, string output)
        {
            if (stacked.Length < 3)
            {
                return null;
            }

            string experts = stacked[..^2];
            bool isInputMajor = !output.Contains(stacked[^2]);
            (char inner, char outer) = isInputMajor ? (stacked[^2], stacked[^1]) : (stacked[^1], stacked[^2]);
            string batch = string.Concat(rows.Where(label => label != inner));
            bool isProduct = rows.Contains(inner) && !output.Contains(inner) && !rows.Contains(outer) && output.Contains(outer)
                && output.Order().SequenceEqual($"{batch}{experts}{outer}".Distinct().Order());
            return isProduct ? new Labels(experts, inner, outer, isInputMajor, rows, output) : null;
        }
    }
}
