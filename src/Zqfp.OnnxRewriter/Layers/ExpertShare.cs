namespace Zqfp.OnnxRewriter;

/// <summary>How many of several experts a token goes to, as far as the graph says.</summary>
internal static class ExpertShare
{
    private const int Limit = 16;

    /// <summary>The share of tokens that an expert sees if all are as busy: k / E behind a TopK of constant k, else 1.</summary>
    public static double Of(GraphIndex graph, LinearLayer layer)
    {
        if (layer.Expert is not { } place)
        {
            return 1;
        }

        string value = place.Index;
        for (int i = 0; i < Limit && graph.Producer(value) is { Input.Count: > 0 } node; i++)
        {
            if (node.OpType == "TopK" && node.Input.Count > 1)
            {
                return graph.Constant(node.Input[1]) is { } count && IntTensor.Read(count) is [> 0 and var k] && k <= place.Count
                    ? (double)k / place.Count
                    : 1;
            }

            value = node.Input[0];
        }

        return 1;
    }
}
