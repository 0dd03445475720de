using Zqfp.OnnxRewriter.Protos;

namespace Zqfp.OnnxRewriter;

/// <summary>What tells a model's functions apart, and which of them a node calls: functions of one name may be overloads.</summary>
internal readonly record struct FunctionKey(string Domain, string Name, string Overload)
{
    public static FunctionKey Of(FunctionProto function) => new(function.Domain, function.Name, function.Overload);

    public static FunctionKey Of(NodeProto node) => new(node.Domain, node.OpType, node.Overload);
}
