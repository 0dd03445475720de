namespace Zqfp.Quantization;

/// <summary>What a shard, or the merge, would do and need.</summary>
/// <param name="Name">Which one, such as <c>2/4</c>; <c>merge</c>.</param>
/// <param name="Layers">Layers it quantizes.</param>
/// <param name="Seconds">Time, where all shards run at once.</param>
/// <param name="Memory">Bytes of memory at the peak.</param>
/// <param name="Disk">Bytes it adds to the work folder; of the merge, those of the model.</param>
internal sealed record PlannedShard(string Name, int Layers, double Seconds, long Memory, long Disk);
